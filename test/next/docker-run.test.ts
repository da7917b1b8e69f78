import './peers.ts';
import '../integration/docker-run.test.ts';
