//! What is signed is found out; what is not, is refused.
