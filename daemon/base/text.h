/* What is asked of text in several places. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>

/* C0, DEL, and C1 as UTF-8 encodes it. The text is valid UTF-8. */
bool text_has_control_character(const char *text);

#endif
