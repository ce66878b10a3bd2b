// The assets of the interactive reference, compressed by gzip. Their C file is made by tools/fetch-docs-ui from docs-ui/.
#ifndef DX_SERVER_DOCS_ASSETS_H
#define DX_SERVER_DOCS_ASSETS_H

#include "base/slice.h"

typedef struct dx_docs_asset {
    dx_slice path; // "/docs", or "/docs/assets/<version>/<name>", which never changes its content
    dx_slice type;
    dx_slice packed;
} dx_docs_asset;
extern const dx_docs_asset dx_docs_assets[];
extern const size_t dx_docs_asset_count;

#endif
