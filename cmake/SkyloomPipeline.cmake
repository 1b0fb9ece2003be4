# skyloom_add_kernel(<pipeline> FILES <files...>): the library of a pipeline's pure kernels.
function(skyloom_add_kernel name)
  cmake_parse_arguments(K "" "" "FILES" ${ARGN})
  list(TRANSFORM K_FILES PREPEND ${name}/)
  add_library(skyloom_${name}_kernel STATIC ${K_FILES})
  add_library(skyloom::${name}_kernel ALIAS skyloom_${name}_kernel)
  target_include_directories(skyloom_${name}_kernel PUBLIC ${CMAKE_SOURCE_DIR}/src)
  target_link_libraries(skyloom_${name}_kernel
    PUBLIC skyloom::sky skyloom::numerics skyloom::core PRIVATE skyloom_flags)
endfunction()

# skyloom_add_pipeline(<name> STAGES <stages...> [EXTRA_KERNEL <files...>] [EXTRA <files...>])
# Two libraries per pipeline: the pure kernels, and everything that reads and writes.
function(skyloom_add_pipeline name)
  cmake_parse_arguments(P "" "" "STAGES;EXTRA_KERNEL;EXTRA" ${ARGN})
  set(parts ${name}/config.cpp ${name}/simulate.cpp ${name}/report.cpp ${name}/pipeline.cpp)
  foreach(file IN LISTS P_EXTRA)
    list(APPEND parts ${name}/${file})
  endforeach()
  set(kernels ${P_EXTRA_KERNEL})
  foreach(stage IN LISTS P_STAGES)
    # A stage that only joins tables has no kernel.
    if(EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${name}/${stage}/kernel.cpp)
      list(APPEND kernels ${stage}/kernel.cpp)
    endif()
    list(APPEND parts ${name}/${stage}/plan.cpp ${name}/${stage}/load.cpp ${name}/${stage}/output.cpp)
  endforeach()
  skyloom_add_kernel(${name} FILES ${kernels})
  add_library(skyloom_${name} STATIC ${parts})
  add_library(skyloom::${name} ALIAS skyloom_${name})
  target_link_libraries(skyloom_${name}
    PUBLIC skyloom_${name}_kernel skyloom::surveys skyloom::engine PRIVATE skyloom_flags)
endfunction()
