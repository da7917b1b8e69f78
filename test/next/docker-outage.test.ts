import './peers.ts';
import '../integration/docker-outage.test.ts';
