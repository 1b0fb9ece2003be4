#include "sums.inc"
