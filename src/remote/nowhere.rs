//! A place that is not asked: what is not known of it here is out of reach.

use std::ops::Range;
use std::path::Path;

use bytes::Bytes;

use super::ObjectError;
use super::objects::{Listed, Objects, Pace};

/// A place that is not asked.
#[derive(Debug)]
pub(super) struct Nowhere {
    place: String,
}

impl Nowhere {
    pub(super) fn new(place: String) -> Self {
        Self { place }
    }

    fn out_of_reach<T>(&self) -> Result<T, ObjectError> {
        let problem = "only what is known of it here was looked at".to_owned();
        Err(ObjectError::Unreachable { place: self.place.clone(), problem })
    }
}

impl Objects for Nowhere {
    fn describe(&self) -> String {
        self.place.clone()
    }

    fn list(&self, _folder: &str) -> Result<Vec<Listed>, ObjectError> {
        self.out_of_reach()
    }

    fn size(&self, _name: &str) -> Result<Option<u64>, ObjectError> {
        self.out_of_reach()
    }

    fn read(&self, _name: &str, _range: Range<u64>) -> Result<Bytes, ObjectError> {
        self.out_of_reach()
    }

    fn put(&self, _name: &str, _content: Bytes) -> Result<(), ObjectError> {
        self.out_of_reach()
    }

    fn put_file(&self, _name: &str, _path: &Path, _pace: &Pace<'_>) -> Result<(), ObjectError> {
        self.out_of_reach()
    }

    fn remove(&self, _name: &str) -> Result<(), ObjectError> {
        self.out_of_reach()
    }
}
