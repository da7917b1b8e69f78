import './peers.ts';
import '../compat/stdio.test.ts';
