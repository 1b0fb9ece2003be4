# Flags of our own targets, and nothing else's.
add_library(skyloom_flags INTERFACE)
target_compile_options(skyloom_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -ffp-contract=off
  # g++ 12 sees uninitialised members in moved std::variant values where there are none.
  $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>
  $<$<BOOL:${SKYLOOM_WERROR}>:-Werror>
  $<$<BOOL:${SKYLOOM_NATIVE}>:-march=native>
  $<$<BOOL:${SKYLOOM_COVERAGE}>:--coverage>)
target_link_options(skyloom_flags INTERFACE
  $<$<BOOL:${SKYLOOM_COVERAGE}>:--coverage>)
if(SKYLOOM_SANITIZE)
  target_compile_options(skyloom_flags INTERFACE -fsanitize=${SKYLOOM_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(skyloom_flags INTERFACE -fsanitize=${SKYLOOM_SANITIZE})
endif()
