/* A fresh directory for each test. */
#ifndef SUPPORT_DIRECTORY_H
#define SUPPORT_DIRECTORY_H

/* The environment may name where they come to be; else it is /tmp. */
#define DIRECTORY_PARENT "CHATLOG_TEST_DIRECTORY"

/* Creates PARENT/chatlogd-test-XXXXXX. The caller frees the path with directory_remove. Ends the test on failure. */
char *directory_new(void);

/* Removes the directory with everything in it and frees the path. Returns NULL. */
char *directory_remove(char *path);

#endif
