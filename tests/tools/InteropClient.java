// SPDX-License-Identifier: GPL-2.0-or-later

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.cert.X509Certificate;
import java.util.HexFormat;

/** Java's HttpClient as a client of the interoperability tests; what it reads and writes:
 *  tests/lib/visits.py. The key store that it trusts is named by javax.net.ssl.trustStore. */
public class InteropClient {
	private static final String HOST = System.getProperty("interop.host", "localhost");

	private static String step(HttpClient client, String url, String method, Path body)
			throws Exception {
		HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(url));
		if (method.equals("POST"))
			request.POST(HttpRequest.BodyPublishers.ofFile(body));
		HttpResponse<byte[]> response =
			client.send(request.build(), HttpResponse.BodyHandlers.ofByteArray());
		byte[] digest = MessageDigest.getInstance("SHA-256").digest(response.body());
		X509Certificate leaf = (X509Certificate)
			response.sslSession().get().getPeerCertificates()[0];
		return response.statusCode()
			+ (response.version() == HttpClient.Version.HTTP_2 ? " 2 " : " 1.1 ")
			+ HexFormat.of().formatHex(digest) + " "
			+ leaf.getIssuerX500Principal().getName();
	}

	public static void main(String[] args) throws Exception {
		BufferedReader visits = new BufferedReader(new InputStreamReader(System.in));
		String line;
		for (int number = 0; (line = visits.readLine()) != null; number++) {
			String[] words = line.split(" ");
			HttpClient client = HttpClient.newBuilder().version(words[1].equals("2")
				? HttpClient.Version.HTTP_2 : HttpClient.Version.HTTP_1_1).build();
			for (int at = 2; at + 1 < words.length; at += 2) {
				String answer;
				try {
					answer = step(client, "https://" + HOST + ":" + words[0] + words[at + 1],
						words[at], Path.of(args[0]));
				} catch (Exception e) {
					answer = "error " + e.toString().replace('\n', ' ');
				}
				System.out.println(number + " " + answer);
			}
		}
		System.exit(0);
	}
}
