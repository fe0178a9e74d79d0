//! The operations of a decoder: each with a plain reference and fast versions chosen at run time.
