import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.io.InputStream;
import org.apache.catalina.Context;
import org.apache.catalina.startup.Tomcat;
import org.apache.coyote.http2.Http2Protocol;

/** Tomcat with HTTP/2 in the clear and all limits as they come. Says its port on standard output, and answers each request with the bytes of its body. */
public class Counting extends HttpServlet {
  @Override
  protected void service(HttpServletRequest request, HttpServletResponse response) throws IOException {
    byte[] buffer = new byte[8192];
    long total = 0;
    InputStream body = request.getInputStream();
    for (int n = body.read(buffer); n >= 0; n = body.read(buffer)) total += n;
    response.getWriter().print(total);
  }

  /** @param args the folder that Tomcat may write to */
  public static void main(String[] args) throws Exception {
    Tomcat tomcat = new Tomcat();
    tomcat.setBaseDir(args[0]);
    tomcat.setPort(0);
    tomcat.getConnector().addUpgradeProtocol(new Http2Protocol());
    Context context = tomcat.addContext("", null);
    Tomcat.addServlet(context, "counting", new Counting());
    context.addServletMappingDecoded("/*", "counting");
    tomcat.start();
    System.out.println("port " + tomcat.getConnector().getLocalPort());
    tomcat.getServer().await();
  }
}
