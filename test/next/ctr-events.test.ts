import './peers.ts';
import '../compat/ctr-events.test.ts';
