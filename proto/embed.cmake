# Writes a file's bytes as a C array: cmake -DINPUT=file -DOUTPUT=file.c -P embed.cmake
file(READ ${INPUT} hex HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
file(WRITE ${OUTPUT} "#include \"descriptor_set.h\"\n"
  "const unsigned char chatlog_descriptor_set[] = {${bytes}};\n"
  "const size_t chatlog_descriptor_set_size = sizeof(chatlog_descriptor_set);\n")
