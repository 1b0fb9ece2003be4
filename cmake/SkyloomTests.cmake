# Tests: serial binaries whose cases ctest knows one by one, and MPI binaries run on 1, 2, 4 ranks.
find_package(Catch2 2.13 REQUIRED)
include(Catch)

set(SKYLOOM_MPI_TEST_ENV
  "OMPI_ALLOW_RUN_AS_ROOT=1;OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1;OMPI_MCA_rmaps_base_oversubscribe=1"
  "OMPI_MCA_mpi_yield_when_idle=1;OMPI_MCA_hwloc_base_binding_policy=none"
  "OMP_NUM_THREADS=1;OPENBLAS_NUM_THREADS=1")

# skyloom_add_tests(<name> LABEL <label> SOURCES ... USES <targets...>)
# One binary; every Catch2 case becomes a ctest named <label>.<name>.<case>.
function(skyloom_add_tests name)
  cmake_parse_arguments(T "" "LABEL;TIMEOUT" "SOURCES;USES" ${ARGN})
  if(NOT T_TIMEOUT)
    set(T_TIMEOUT 120)
  endif()
  add_executable(${T_LABEL}_${name} ${T_SOURCES} ${CMAKE_SOURCE_DIR}/tests/support/main.cpp)
  target_include_directories(${T_LABEL}_${name} PRIVATE ${CMAKE_SOURCE_DIR}/tests ${CMAKE_SOURCE_DIR}/src)
  target_link_libraries(${T_LABEL}_${name} PRIVATE skyloom_flags Catch2::Catch2 ${T_USES})
  target_compile_definitions(${T_LABEL}_${name} PRIVATE
    SKYLOOM_TEST_DATA="${CMAKE_SOURCE_DIR}/../shared/data" SKYLOOM_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  catch_discover_tests(${T_LABEL}_${name} TEST_PREFIX "${T_LABEL}.${name}."
    PROPERTIES LABELS ${T_LABEL} TIMEOUT ${T_TIMEOUT} SKIP_REGULAR_EXPRESSION "skipped: ")
endfunction()

# skyloom_add_mpi_tests(<name> SOURCES ... USES <targets...>): the whole binary on 1, 2 and 4 ranks.
function(skyloom_add_mpi_tests name)
  cmake_parse_arguments(T "" "" "SOURCES;USES" ${ARGN})
  add_executable(mpi_${name} ${T_SOURCES} ${CMAKE_SOURCE_DIR}/tests/support/mpi_main.cpp)
  target_include_directories(mpi_${name} PRIVATE ${CMAKE_SOURCE_DIR}/tests ${CMAKE_SOURCE_DIR}/src)
  target_link_libraries(mpi_${name} PRIVATE skyloom_flags Catch2::Catch2 MPI::MPI_CXX ${T_USES})
  foreach(n IN ITEMS 1 2 4)
    add_test(NAME mpi.${name}.n${n}
      COMMAND ${MPIEXEC_EXECUTABLE} ${MPIEXEC_NUMPROC_FLAG} ${n} ${MPIEXEC_PREFLAGS}
              $<TARGET_FILE:mpi_${name}> ${MPIEXEC_POSTFLAGS})
    set_tests_properties(mpi.${name}.n${n} PROPERTIES LABELS mpi PROCESSORS ${n} TIMEOUT 120
      ENVIRONMENT "${SKYLOOM_MPI_TEST_ENV}")
  endforeach()
endfunction()

# skyloom_add_script_test(<name> LABEL <label> SCRIPT <file> [PROCESSORS n] [TIMEOUT s] [ARGS ...])
# A shell or Python program that uses the built skyloom ($SKYLOOM) in a temporary folder.
function(skyloom_add_script_test name)
  cmake_parse_arguments(T "" "LABEL;SCRIPT;PROCESSORS;TIMEOUT" "ARGS" ${ARGN})
  if(NOT T_TIMEOUT)
    set(T_TIMEOUT 300)
  endif()
  if(NOT T_PROCESSORS)
    set(T_PROCESSORS 1)
  endif()
  if(T_SCRIPT MATCHES "\\.py$")
    set(interpreter /usr/bin/python3)
  else()
    set(interpreter bash)
  endif()
  add_test(NAME ${T_LABEL}.${name} COMMAND ${interpreter} ${CMAKE_CURRENT_SOURCE_DIR}/${T_SCRIPT} ${T_ARGS})
  set_tests_properties(${T_LABEL}.${name} PROPERTIES LABELS ${T_LABEL} PROCESSORS ${T_PROCESSORS}
    TIMEOUT ${T_TIMEOUT} SKIP_RETURN_CODE 77
    ENVIRONMENT "${SKYLOOM_MPI_TEST_ENV};SKYLOOM=$<TARGET_FILE:skyloom>;MPIRUN=${MPIEXEC_EXECUTABLE};SKYLOOM_SOURCE_DIR=${CMAKE_SOURCE_DIR};SKYLOOM_TEST_DATA=${CMAKE_SOURCE_DIR}/../shared/data;PYTHONPATH=${CMAKE_SOURCE_DIR}/tests/support")
endfunction()
