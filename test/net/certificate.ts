/**
 * A certificate that signs itself, for `stack.test`, `localhost` and 127.0.0.1, for the next hundred years; its key is no secret.
 * Made with `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 36500 -subj /CN=stack.test`.
 */
export const CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIBqjCCAU+gAwIBAgIUVYiuYZPq65IkEc5VWONWEelmHDswCgYIKoZIzj0EAwIw
FTETMBEGA1UEAwwKc3RhY2sudGVzdDAgFw0yNjExMjEwNzQ4MzNaGA8yMTI2MTAy
ODA3NDgzM1owFTETMBEGA1UEAwwKc3RhY2sudGVzdDBZMBMGByqGSM49AgEGCCqG
SM49AwEHA0IABHFidR8uBZans4/3aIGUsisZNv2Njx6GhSBOnIuWDfwQ5mO3Zte/
/ZSKXmKF67L8YCadDUkwOi2KbSuHcSksXh+jezB5MB0GA1UdDgQWBBRXd60rKcd7
m8EpDSUUTYgeA3j2ojAfBgNVHSMEGDAWgBRXd60rKcd7m8EpDSUUTYgeA3j2ojAP
BgNVHRMBAf8EBTADAQH/MCYGA1UdEQQfMB2CCnN0YWNrLnRlc3SCCWxvY2FsaG9z
dIcEfwAAATAKBggqhkjOPQQDAgNJADBGAiEA8x87DxpD0eS63UMrxOUyWvOq72xt
umoAxGIwe9WA0t0CIQDUchzwaIaHRJ0vQr7+v02EcKW9uXIBvZ7WiS3DO7MBLQ==
-----END CERTIFICATE-----
`

export const KEY = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgVYkYkAo1th+jBH0/
UTSJ6y2NAXTb6a1iHkhSzdXFPiKhRANCAARxYnUfLgWWp7OP92iBlLIrGTb9jY8e
hoUgTpyLlg38EOZjt2bXv/2Uil5iheuy/GAmnQ1JMDotim0rh3EpLF4f
-----END PRIVATE KEY-----
`
