import './peers.ts';
import '../compat/ctr-containers.test.ts';
