/* data_file.h - files that are installed with the tools (PREFIX/share/weightsmith). */
#ifndef WS_DATA_FILE_H
#define WS_DATA_FILE_H

#include "error.h"

/* Path of an installed data file, found beside the running program (../share/weightsmith, so that it works in a
 * build folder and after moving the installation). NULL with err filled when it is not there. Release with free(). */
char *ws_data_file(const char *name, ws_error *err);

#endif
