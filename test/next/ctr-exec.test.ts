import './peers.ts';
import '../compat/ctr-exec.test.ts';
