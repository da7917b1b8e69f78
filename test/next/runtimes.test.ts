import './peers.ts';
import '../integration/runtimes.test.ts';
