import './peers.ts';
import '../integration/docker-live-restore.test.ts';
