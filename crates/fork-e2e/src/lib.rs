//! End-to-end tests: the workers, started as a pipeline starts them, in `tests/e2e`; stores of every
//! kind in `tests/store`. In here is what such tests run against.

pub mod s3;
