// Documents behind URLs, by the library: a definition of one API is made for the URL, and called.
#ifndef DX_CLI_DOCUMENT_FETCH_H
#define DX_CLI_DOCUMENT_FETCH_H

#include "cli/document.h"

#define DX_FETCH_CAP "32MiB"

dx_document_fetch dx_document_fetch_url;

#endif
