/** The version of daemon, shim and tools, as in package.json; they are built and shipped together. */
export const VERSION = '0.1.0';
