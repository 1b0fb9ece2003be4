# Fetches the pinned uPlot package through npm's configured registry and unpacks it, whole or not
# at all. -DNPM=program -DVERSION=x.y.z -DFOLDER=destination
cmake_minimum_required(VERSION 3.25)
set(expected_sha512 2883159c6ebccefbb95d751b0b82d010f9e1c0ec41b8bc96d401eda66e882935c89a46cb824332fa369b8cb8122cc6ac36e186cd09bf7a9ded3a4c93c6989023)
file(REMOVE_RECURSE ${FOLDER})
file(MAKE_DIRECTORY ${FOLDER})
execute_process(COMMAND ${NPM} pack uplot@${VERSION} --silent WORKING_DIRECTORY ${FOLDER}
                RESULT_VARIABLE status OUTPUT_QUIET ERROR_VARIABLE complaint)
set(archive ${FOLDER}/uplot-${VERSION}.tgz)
if(NOT status EQUAL 0 OR NOT EXISTS ${archive})
  message(FATAL_ERROR "npm could not fetch uplot ${VERSION}: ${complaint}\n"
                      "Without network, name an unpacked package: -DSKYLOOM_UPLOT_DIR=FOLDER")
endif()
file(SHA512 ${archive} found_sha512)
if(NOT found_sha512 STREQUAL expected_sha512)
  message(FATAL_ERROR "uplot ${VERSION} from npm has another checksum than expected: ${found_sha512}")
endif()
file(ARCHIVE_EXTRACT INPUT ${archive} DESTINATION ${FOLDER})
file(TOUCH ${FOLDER}/package/dist/uPlot.iife.min.js ${FOLDER}/package/dist/uPlot.min.css)
