//! Dependency descriptor.
