# The addon. `sanitize` and `headers` are set by tools/sanitize.mjs, which builds the same sources elsewhere.
{
  'variables': {
    'sanitize%': 0,
    'headers%': '../node_modules/node-addon-api',
  },
  'targets': [{
    'target_name': 'holdfast',
    'sources': [
      'src/addon.cc',
      'src/descriptors.cc',
      'src/files.cc',
      'src/fork.cc',
      'src/mounts.cc',
      'src/poller.cc',
      'src/process.cc',
      'src/sockets.cc',
      'src/terminals.cc',
      'src/tree.cc',
    ],
    'include_dirs': ['<(headers)'],
    # Failures are values here (src/result.h), so nothing throws in C++.
    'defines': ['NAPI_VERSION=9', 'NODE_ADDON_API_DISABLE_CPP_EXCEPTIONS', '_GNU_SOURCE'],
    'cflags': ['-Wall', '-Wextra', '-fvisibility=hidden'],
    'cflags_cc': ['-std=gnu++20', '-fno-exceptions', '-fno-rtti'],
    'conditions': [
      ['sanitize==1', {
        'cflags!': ['-O3'],
        'cflags': [
          '-O1', '-g', '-fno-omit-frame-pointer', '-fsanitize=address,undefined', '-fno-sanitize-recover=all',
        ],
        # libubsan inside the addon, and to itself: beside libasan it would not know where to write its reports.
        'ldflags': ['-fsanitize=address,undefined', '-static-libubsan', '-Wl,--exclude-libs,libubsan.a'],
      }, {
        'cflags!': ['-O3'],
        'cflags': [
          '-O2', '-fstack-protector-strong', '-U_FORTIFY_SOURCE', '-D_FORTIFY_SOURCE=3', '-D_GLIBCXX_ASSERTIONS',
        ],
        'ldflags': ['-Wl,-z,relro,-z,now', '-Wl,-s'],
        'conditions': [
          ['target_arch=="x64"', { 'cflags': ['-fcf-protection=full'] }],
          ['target_arch=="arm64"', { 'cflags': ['-mbranch-protection=standard'] }],
        ],
      }],
    ],
  }],
}
