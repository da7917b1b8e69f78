import './peers.ts';
import '../compat/ctr-run.test.ts';
