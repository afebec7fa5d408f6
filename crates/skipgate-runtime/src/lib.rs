//! Loads a skipgate artifact and runs it under a skip mask.
