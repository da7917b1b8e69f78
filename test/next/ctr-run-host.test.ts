import './peers.ts';
import '../compat/ctr-run-host.test.ts';
