//! Every decoder, by example and by chance.
