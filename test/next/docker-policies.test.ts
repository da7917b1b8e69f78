import './peers.ts';
import '../integration/docker-policies.test.ts';
