import './peers.ts';
import '../compat/ctr-tasks.test.ts';
