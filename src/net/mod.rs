//! Protocol servers that take a handler and know no product.
