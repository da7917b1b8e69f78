#ifndef HOLDFAST_POLLER_H_
#define HOLDFAST_POLLER_H_

#include <napi.h>

namespace holdfast {

// In a process just forked, before its loop is renewed: watches of its own, instead of those of its parent.
bool RenewWatches(Napi::Env env);

}  // namespace holdfast

#endif  // HOLDFAST_POLLER_H_
