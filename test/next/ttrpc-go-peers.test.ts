import './peers.ts';
import '../integration/ttrpc-go-peers.test.ts';
