//! End-to-end tests of the workers, started as a pipeline starts them; the tests are in
//! `tests/e2e`. There is nothing in here.
