/* Put before the sources of a chatlogd that knows one layout less: the test of downgrades starts it. */
#ifndef FAULT_OLDER_H
#define FAULT_OLDER_H

#include "store/lmdb/marker.h"

#define MARKER_LAYOUT 2

#endif
