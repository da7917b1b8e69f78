import './peers.ts';
import '../integration/daemon-subscribe.test.ts';
