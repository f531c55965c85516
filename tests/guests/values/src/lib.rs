//! Echoes a value of every component type, to test the way from JSON into a component and back.

wit_bindgen::generate!();

struct Values;

impl Guest for Values {
    fn main(v: All) -> All {
        v
    }
}

export!(Values);
