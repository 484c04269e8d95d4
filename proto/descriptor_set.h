/* The contract as an encoded google.protobuf.FileDescriptorSet, made from the proto files by the build. */
#ifndef DESCRIPTOR_SET_H
#define DESCRIPTOR_SET_H

#include <stddef.h>

extern const unsigned char chatlog_descriptor_set[];
extern const size_t chatlog_descriptor_set_size;

#endif
