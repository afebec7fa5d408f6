//! What skipgate keeps in the metadata of a model, as JSON.

use crate::proto::{ModelProto, NodeProto, StringStringEntryProto};
use serde::Serialize;
use serde::de::DeserializeOwned;
use skipgate_core::{Gate, Preprocessing};

use crate::error::Error;
use crate::model::Model;

/// `metadata_props` key of the gate table: a JSON array of [`Gate`], in mask order.
pub const GATES_KEY: &str = "skipgate.gates";
/// `metadata_props` key of how an image becomes the input: a JSON [`Preprocessing`].
pub const PREPROCESSING_KEY: &str = "skipgate.preprocessing";
/// `metadata_props` key of the class names: a JSON array of strings, in logit order.
pub const CLASS_NAMES_KEY: &str = "skipgate.class_names";
/// `metadata_props` key of a node whose computed indices [`normalise`](crate::normalise) has limited.
pub(crate) const LIMITED_KEY: &str = "skipgate.limited_indices";

impl Model {
    /// The gate table, in mask order; empty if the model is not gated.
    pub fn gates(&self) -> Result<Vec<Gate>, Error> {
        Ok(self.json(GATES_KEY)?.unwrap_or_default())
    }

    /// How an image becomes the input tensor, if the model says so.
    pub fn preprocessing(&self) -> Result<Option<Preprocessing>, Error> {
        self.json(PREPROCESSING_KEY)
    }

    /// Names of the classes, in logit order; empty if the model does not say.
    pub fn class_names(&self) -> Result<Vec<String>, Error> {
        Ok(self.json(CLASS_NAMES_KEY)?.unwrap_or_default())
    }

    /// The model with another way to make its input of an image.
    pub fn with_preprocessing(&self, preprocessing: &Preprocessing) -> Result<Self, Error> {
        self.edited(|proto| set(proto, PREPROCESSING_KEY, preprocessing))
    }

    /// The model with other names of the classes.
    pub fn with_class_names(&self, names: &[String]) -> Result<Self, Error> {
        self.edited(|proto| set(proto, CLASS_NAMES_KEY, names))
    }

    /// Whether the model has a gate table.
    pub(crate) fn is_gated(&self) -> bool {
        self.proto().metadata_props.iter().any(|entry| entry.key == GATES_KEY)
    }

    fn json<T: DeserializeOwned>(&self, key: &'static str) -> Result<Option<T>, Error> {
        let entry = self.proto().metadata_props.iter().find(|entry| entry.key == key);
        entry
            .map(|entry| serde_json::from_str(&entry.value))
            .transpose()
            .map_err(|source| Error::Metadata { key, source })
    }
}

/// Marks `node` with `key`.
pub(crate) fn note(node: &mut NodeProto, key: &str) {
    let entry = StringStringEntryProto { key: key.to_owned(), ..Default::default() };
    node.metadata_props.push(entry);
}

/// Whether `node` was [marked](note) with `key`.
pub(crate) fn has_note(node: &NodeProto, key: &str) -> bool {
    node.metadata_props.iter().any(|entry| entry.key == key)
}

/// Records the gate table in `model`.
pub(crate) fn set_gates(model: &mut ModelProto, gates: &[Gate]) -> Result<(), Error> {
    set(model, GATES_KEY, gates)
}

/// Makes the JSON of `value` the only entry of `key`.
fn set<T: Serialize + ?Sized>(model: &mut ModelProto, key: &'static str, value: &T) -> Result<(), Error> {
    let value = serde_json::to_string(value).map_err(|source| Error::Metadata { key, source })?;
    model.metadata_props.retain(|entry| entry.key != key);
    let key = key.to_owned();
    model.metadata_props.push(StringStringEntryProto { key, value, ..StringStringEntryProto::default() });
    Ok(())
}
