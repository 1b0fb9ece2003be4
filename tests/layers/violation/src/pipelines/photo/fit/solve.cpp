#include "pipelines/photo/fit/shared.hpp"
