// SPDX-License-Identifier: GPL-2.0-or-later
// Reads "CA-FILE CERTIFICATE-FILE HOST" lines, says "ok" or "no REASON" for each: does a TLS client
// of Java's own (TLS 1.3) take this certificate of a server? Chain and purpose; no names.
import java.io.BufferedReader;
import java.io.FileInputStream;
import java.io.InputStreamReader;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.util.HashMap;
import java.util.Map;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509TrustManager;

public class Verify {
	static X509Certificate read(String path) throws Exception {
		try (FileInputStream in = new FileInputStream(path)) {
			return (X509Certificate) CertificateFactory.getInstance("X.509")
				.generateCertificate(in);
		}
	}

	static X509TrustManager trusting(String path) throws Exception {
		KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
		TrustManagerFactory factory = TrustManagerFactory.getInstance("PKIX");

		store.load(null, null);
		store.setCertificateEntry("ca", read(path));
		factory.init(store);
		return (X509TrustManager) factory.getTrustManagers()[0];
	}

	public static void main(String[] arguments) throws Exception {
		BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
		Map<String, X509TrustManager> managers = new HashMap<>();

		for (String line = lines.readLine(); line != null; line = lines.readLine()) {
			String[] words = line.split(" ");

			if (!managers.containsKey(words[0]))
				managers.put(words[0], trusting(words[0]));
			try {
				managers.get(words[0]).checkServerTrusted(
					new X509Certificate[] {read(words[1])}, "UNKNOWN");
				System.out.println("ok");
			} catch (Exception error) {
				System.out.println("no " + error.toString().replace('\n', ' '));
			}
		}
	}
}
