//! Signs and checks one statement over every artefact of a fork.
