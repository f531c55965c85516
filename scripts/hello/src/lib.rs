//! A typed script: the signature in `wit/hello.wit` is its interface, and nothing of wasmill is
//! needed to build it.

wit_bindgen::generate!();

struct Hello;

impl Guest for Hello {
    fn main(name: String, times: Option<u32>) -> Result<Greeting, String> {
        let times = times.unwrap_or(1);
        if cfg!(not(feature = "quiet")) {
            println!("greeting {name}, {times} times");
        }
        if times > 100 {
            return Err(format!("{times} times is too often; 100 is the most"));
        }
        let word = if cfg!(feature = "loud") {
            format!("HELLO {}!", name.to_uppercase())
        } else {
            format!("Hello {name}!")
        };
        Ok(Greeting { greeting: vec![word; times as usize].join(" "), times })
    }
}

export!(Hello);
