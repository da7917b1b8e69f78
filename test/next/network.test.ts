import './peers.ts';
import '../compat/network.test.ts';
