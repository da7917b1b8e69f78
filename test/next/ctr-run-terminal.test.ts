import './peers.ts';
import '../compat/ctr-run-terminal.test.ts';
