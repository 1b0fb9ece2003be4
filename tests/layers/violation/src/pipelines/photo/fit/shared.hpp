#include "skyloom/core/log.hpp"
#include "skyloom/engine/rows.hpp"
