import './peers.ts';
import '../integration/docker-exec.test.ts';
