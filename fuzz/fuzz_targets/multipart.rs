//! Uploads: whatever a body holds, the file found in it is a piece of it; and what is packed properly is found.

#![no_main]

use deuced::http::multipart::single_file;
use libfuzzer_sys::fuzz_target;

const FIELD: &str = "profilePicture";
const BOUNDARY: &str = "----boundary7";

fuzz_target!(|data: &[u8]| {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (content_type, body) = (&data[..end], data.get(end + 1..).unwrap_or_default());
    let content_type = String::from_utf8_lossy(content_type);
    for content_type in
        [&*content_type, "multipart/form-data; boundary=a", "multipart/form-data; boundary=\"a b\""]
    {
        if let Ok(Some(file)) = single_file(content_type, body, FIELD) {
            let (whole, part) = (body.as_ptr_range(), file.bytes.as_ptr_range());
            assert!(whole.start <= part.start && part.end <= whole.end, "a file lies in its body");
        }
    }
    if !data.windows(BOUNDARY.len()).any(|window| window == BOUNDARY.as_bytes()) {
        let mut packed = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"other\"\r\n\r\nx\r\n--{BOUNDARY}\r\n\
             Content-Disposition: form-data; name=\"{FIELD}\"; filename=\"a.png\"\r\nContent-Type: image/png\r\n\r\n"
        )
        .into_bytes();
        packed.extend_from_slice(data);
        packed.extend(format!("\r\n--{BOUNDARY}--\r\n").into_bytes());
        let content_type = format!("multipart/form-data; boundary={BOUNDARY}");
        let file = single_file(&content_type, &packed, FIELD).expect("a proper body").expect("with a file");
        assert_eq!((file.content_type, file.bytes), (Some("image/png"), data));
    }
});
